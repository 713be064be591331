-- an embedding: the numbers themselves, since as text they would take four times the place
ALTER TABLE batch_results ADD COLUMN vector FLOAT[];
