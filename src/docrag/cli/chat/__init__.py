"""``docrag chat``: a conversation with a folder of documents, in the terminal."""
