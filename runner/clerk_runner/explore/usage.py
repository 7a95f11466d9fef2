"""The fixed text of ``clerk-batch api``, ``api help``, ``api -h`` and ``api --help``."""

from __future__ import annotations

from typing import Final

__all__ = ["USAGE"]

USAGE: Final = """\
clerk-batch api: explore Clerk's Backend API, and call it safely

Browse
  api tags                             list all tags
  api Users                            browse endpoints for the Users tag
  api Users version 2025-11-10.yml     browse using a different version
  api list WORDS                       find operations by path, name or tag
  api browse                           walk through everything on a terminal

Execute
  api GET /users                       fetch users
  api get user john_doe                natural language works too
  api POST /invitations                create an invitation

Inspect
  api GET /users help                  show endpoint schema without executing
  api POST /invitations -h             view request/response details
  api show DeleteUser                  by operation, METHOD /path, or a path with real ids
  api diff UpdateUser 2025-11-10 2026-05-12
                                       what changed between two versions

Versions
  api versions                         list all versions, the newest marked
  api update                           fetch newer documents

Options
  --admin                              bypass scope restrictions for write/delete
  --version DATE, version DATE         use a specific spec version
  --help, -h, help                     inspect endpoint instead of executing

More: clerk-batch api COMMAND -h, for tags, list, show, call, ask, browse, diff, versions, update
"""
