"""Files at remote addresses, mirrored into the cache: `s3://`, `gs://`, `abfss://`, `hdfs://`, `https://` and what fsspec knows."""

from mmtrain.system.remote.archive_members import fetch_members, known_members, member_path
from mmtrain.system.remote.mirror import address_of, cache_of, fetch, fetch_all, is_address, local_path
from mmtrain.system.remote.secrets import masked

__all__ = [
    "address_of",
    "cache_of",
    "fetch",
    "fetch_all",
    "fetch_members",
    "is_address",
    "known_members",
    "local_path",
    "masked",
    "member_path",
]
