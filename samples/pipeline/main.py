import pipeline
from portable_fn_gcp import entry

reserve = entry(pipeline.reserve)
