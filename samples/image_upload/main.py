import thumbnails
from portable_fn_gcp import entry

thumbnail = entry(thumbnails.thumbnail)
