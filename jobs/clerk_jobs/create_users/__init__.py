"""``kind: create-users``: rows become users, each once; who exists already is found first.

``facts``    the fields of a user that can be created, and of one that can be changed, out of the catalogue
``digests``  the hashers, and what a digest of each looks like
``moments``  times as exports write them, as Clerk takes them
``texts``    templates of addresses, their states, times and digests
``drafts``   a row becomes the body of a call, checked
``people``   who has the identifiers of a row
``changes``  what a row says otherwise than an existing user
``screen``   who exists, and what becomes of their rows
``work``     the calls, and what an answer, or none, means
``undo``     what a run created is deleted, what it changed is put back
"""
