"""OpenAI's and Anthropic's Batch APIs on this machine: the same wire, answered by an engine of ours.

from batch_pipeline.local_server import LocalServerOptions, start

with start(LocalServerOptions(engine="simulated", port=0, state_dir=folder)) as server:
    client = openai.OpenAI(base_url=server.url, api_key="any")
"""

from batch_pipeline.local_server.options import EngineName, LocalServerOptions
from batch_pipeline.local_server.server import RunningServer, run, start

__all__ = ["EngineName", "LocalServerOptions", "RunningServer", "run", "start"]
