"""The stored sample: a made-up product catalogue in the schema of AmazonTitles-1.3MM's `trn.json`.

The real product texts have no licence, so they cannot lie in this repository. The sample lets everyone run the course
at once, offline and in a few minutes: same schema, same kinds of dirt, but each brand, book and sentence is invented.
It shows that the pipeline works; it says nothing about how well a model does on real products.

`SAMPLE_PATH` is the stored file (3,000 rows). `ftlib.data.sample.generate` made it and makes larger ones.
"""

from pathlib import Path

SAMPLE_PATH = Path(__file__).with_name("catalog.jsonl.gz")
