"""Annotate every node with what a training step costs there, and keep the report."""

from graphc import TrainingCostPass

training_cost = TrainingCostPass
