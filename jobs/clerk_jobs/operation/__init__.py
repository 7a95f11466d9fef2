"""``kind: operation``: any operation of the catalogue, called for each row.

``drafts``   a row becomes a call, checked against the operation's documents
``bulk``     operations that Clerk also has for fifty at once
``reading``  the objects that paths name, read back
``effects``  what a lost answer may have done, by what is there now
``waitlist`` the same for entries of the waitlist
``work``     all of it, as the engine sees it
"""
