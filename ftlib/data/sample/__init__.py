"""Synthetic sample data set: an invented product catalog in the schema of AmazonTitles-1.3MM.

The real product texts have no license, so this repository cannot include them. The sample has the same schema and the same
kinds of noise, and lets everyone run the course offline in a few minutes. It tests the pipeline; metrics on it do not predict
metrics on real products. `SAMPLE_PATH` is the stored file (3,000 rows); `ftlib.data.sample.generate` wrote it and writes larger
ones. `FAQ_PATH` has about 300 questions and answers of an invented store in Portuguese; `ftlib.data.sample.faq` wrote it.
"""

from pathlib import Path

SAMPLE_PATH = Path(__file__).with_name("catalog.jsonl.gz")
FAQ_PATH = Path(__file__).with_name("faq.jsonl.gz")
