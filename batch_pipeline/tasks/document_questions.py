"""What does a document say about this? An answer, with the words that it rests on."""

from batch_pipeline.tasks import BatchTask, Content, Record, Text
from batch_pipeline.tasks.media import read_document


def prompt(record: Record) -> Content:
    """The document, and the question."""
    return [read_document(str(record["path"]), sha256=str(record["sha256"])), Text(str(record["question"]))]


document_questions = BatchTask(
    name="document_questions",
    records="""\
SELECT documents.record_id || '#' || questions.name AS record_id, path, sha256, question
FROM documents
CROSS JOIN (VALUES
    ('summary', 'What is this document, and for whom?'),
    ('deadlines', 'Which deadlines and periods does it set, and what for?')
) AS questions(name, question)""",
    endpoint="responses",
    system="""\
You answer questions about a document. Say only what stands in it; where it says nothing about the question, say that. \
Quote the words that your answer rests on, letter by letter, with the number of their page.""",
    prompt=prompt,
    uses=("path", "sha256", "question"),
    answer=str,
    citations=True,
    max_output_tokens=600,
    partitions=None,
    deps=("documents",),
)
