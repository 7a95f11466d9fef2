"""Facts of every operation of Clerk's Backend API, in every version: parameters, bodies, answers, safety.

``load()`` gives the newest version that this package knows; ``Catalog`` finds operations in it. Everything
works offline: the facts were compiled from Clerk's OpenAPI documents when the package was made
(``compile``).
"""

from clerk_jobs.catalog.catalog import Catalog, UnknownOperationError, UnknownVersionError, load
from clerk_jobs.catalog.operation import Body, ListShape, Operation, Parameter, Response
from clerk_jobs.catalog.schema import Json, Schema

__all__ = [
    "Body",
    "Catalog",
    "Json",
    "ListShape",
    "Operation",
    "Parameter",
    "Response",
    "Schema",
    "UnknownOperationError",
    "UnknownVersionError",
    "load",
]
