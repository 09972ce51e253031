"""What `inspect-data` finds: faults of a table and of its pictures that spoil a study."""

from mmtrain.data.findings.finding import Finding, Level

__all__ = ["Finding", "Level"]
