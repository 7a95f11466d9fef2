"""``kind: operation``: any operation of the catalogue, called for each row.

``drafts``   a row becomes a call, checked against the operation's documents
``work``     what an answer, or none, means
"""
