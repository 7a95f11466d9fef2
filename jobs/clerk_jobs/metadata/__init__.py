"""``kind: metadata``: rows become writes of metadata, where Clerk has something else.

Pure functions and conversations; nothing here sends anything. The parts:

``numbers``  numbers with their spelling
``trees``    metadata as values: merging, comparing, folding
``targets``  users, organizations, memberships: how each is read and written
``drafts``   a row becomes a draft, rows of one subject become one write
``screen``   read before write: what changes, and what was there
``undo``     a run's changes, taken back
``work``     all of it, as the engine sees it
"""
