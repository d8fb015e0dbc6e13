"""What the planner may do, one tool per file; none writes, sends, or reads outside the index."""
