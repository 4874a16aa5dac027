from portable_fn_azure import entry
from thumbnails import thumbnail

app = entry(thumbnail)
