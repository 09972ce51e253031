"""Summaries of columns: statistics of training rows, kept in statistics.json, and how later rows differ from them."""

from mmtrain.columns.summaries.base import Statistics as Statistics
from mmtrain.columns.summaries.codes import CodeStatistics as CodeStatistics
from mmtrain.columns.summaries.images import ImageStatistics as ImageStatistics
from mmtrain.columns.summaries.numbers import NumericStatistics as NumericStatistics
