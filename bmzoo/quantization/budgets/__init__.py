"""Float layers for what INT8 may lose and how long it may take.

In a room of its own because chips' constants have a part in it: rankings are not made again where these change.
"""
