"""Distillation: a trained run or group as the teacher of one network."""
