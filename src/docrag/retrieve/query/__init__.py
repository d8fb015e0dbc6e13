"""What is searched for: a question routed, split and reworded before any retriever sees it."""
