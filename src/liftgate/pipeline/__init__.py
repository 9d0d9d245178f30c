"""The walk of a decision, its ports and its batching."""
