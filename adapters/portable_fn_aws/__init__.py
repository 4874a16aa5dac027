"""portable_fn on AWS Lambda."""

from portable_fn_aws.entry import entry

__all__ = ["entry"]
