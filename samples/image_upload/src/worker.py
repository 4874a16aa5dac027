from portable_fn_cloudflare import entry
from thumbnails import thumbnail

Default = entry(thumbnail)
