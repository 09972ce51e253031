"""Column roles, one file each. To add one, write such a file and import it here."""

from mmtrain.columns.base import AnyColumn as AnyColumn
from mmtrain.columns.base import AnyFittedColumn as AnyFittedColumn
from mmtrain.columns.base import Column as Column
from mmtrain.columns.base import column_of_role as column_of_role
from mmtrain.columns.base import images_among as images_among
from mmtrain.columns.base import role as role
from mmtrain.columns.base import role_class as role_class
from mmtrain.columns.base import roles as roles
from mmtrain.columns.bookkeeping import Group as Group
from mmtrain.columns.bookkeeping import Id as Id
from mmtrain.columns.bookkeeping import Split as Split
from mmtrain.columns.bookkeeping import Weight as Weight
from mmtrain.columns.categorical import Categorical as Categorical
from mmtrain.columns.cells import CellError as CellError
from mmtrain.columns.cells import CellWarning as CellWarning
from mmtrain.columns.cells import ImageCells as ImageCells
from mmtrain.columns.date import Date as Date
from mmtrain.columns.fitted_column import FittedColumn as FittedColumn
from mmtrain.columns.fitted_column import RawInput as RawInput
from mmtrain.columns.fitted_column import RowSource as RowSource
from mmtrain.columns.image import Image as Image
from mmtrain.columns.input_column import InputColumn as InputColumn
from mmtrain.columns.input_column import inputs_among as inputs_among
from mmtrain.columns.numeric import Numeric as Numeric
from mmtrain.columns.text import Text as Text
from mmtrain.columns.time import Time as Time
