"""The kind "async": tasks of one event loop, of asyncio or trio."""
