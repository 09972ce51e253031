"""Split methods: functions that divide rows into partitions, one idea each. To add one, write such a file and import it here."""

from mmtrain.splits import by_column as _by_column  # noqa: F401  # registers column
from mmtrain.splits import by_random as _by_random  # noqa: F401  # registers random and stratified
from mmtrain.splits import by_time as _by_time  # noqa: F401  # registers time
from mmtrain.splits.base import AnySplit as AnySplit
from mmtrain.splits.base import SplitMethod as SplitMethod
from mmtrain.splits.base import SplitSection as SplitSection
from mmtrain.splits.base import split_method as split_method
from mmtrain.splits.base import split_methods as split_methods
from mmtrain.splits.plan import Partition as Partition
from mmtrain.splits.plan import Rows as Rows
from mmtrain.splits.plan import SplitPlan as SplitPlan
