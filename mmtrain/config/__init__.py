"""The experiment file: read with line numbers, filled with defaults, validated, checked between sections."""

from mmtrain.config.experiment import Experiment as Experiment
from mmtrain.config.load import format_setting as format_setting
from mmtrain.config.load import from_json as from_json
from mmtrain.config.load import json_schema as json_schema
from mmtrain.config.load import load as load
from mmtrain.config.load import load_sound as load_sound
from mmtrain.config.load import setting_cell as setting_cell
from mmtrain.config.load import to_yaml as to_yaml
