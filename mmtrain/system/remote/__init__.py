"""Files at remote addresses, mirrored into the cache: `s3://`, `gs://`, `abfss://`, `hdfs://`, `https://` and what fsspec knows."""

from mmtrain.system.remote.mirror import address_of, fetch, fetch_all, is_address, local_path

__all__ = ["address_of", "fetch", "fetch_all", "is_address", "local_path"]
