"""Chat models behind langchain-core's ``BaseChatModel``, and the client that makes a `Chat` of one."""
