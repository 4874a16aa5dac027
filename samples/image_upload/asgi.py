from portable_fn_asgi import entry
from thumbnails import thumbnail

app = entry(thumbnail)
