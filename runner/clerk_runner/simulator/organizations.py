"""Organizations, found by id or slug, and the roles in them."""

from collections.abc import Callable

from .errors import identifier_taken, invalid, not_found
from .formulas import CreatedAt, Pattern
from .ids import Ids
from .shelf import Record, Shelf

_SLUG = Pattern("organization-{n}")


class Organizations:
    """The organizations of the instance."""

    def __init__(self, count: int, seed: int) -> None:
        created_at_ms = CreatedAt().formula(count)
        self._created_at_ms: Callable[[int], int] = created_at_ms
        self.shelf = Shelf("organization", Ids("org_", seed), count, created_at_ms, self._formula_row)
        self._slugs: dict[str, int] = {}

    def _formula_row(self, number: int) -> bytes:
        created = self._created_at_ms(number)
        return (
            b'{"object":"organization","id":"%b","name":"Organization %d","slug":"organization-%d",'
            b'"image_url":"https://img.example.com/organization.png","has_image":false,'
            b'"max_allowed_memberships":0,"admin_delete_enabled":true,"public_metadata":{"number":%d},'
            b'"private_metadata":{},"created_at":%d,"updated_at":%d,"role_set_key":null}'
            % (self.shelf.ids.make(number).encode(), number, number, number, created, created)
        )

    def get(self, id_or_slug: str) -> int:
        """The number of an organization.

        Raises:
            RefusalError: 404.
        """
        number = self.shelf.find(id_or_slug)
        if number is None:
            number = self._with_slug(id_or_slug)
        if number is None:
            raise not_found("organization", id_or_slug)
        return number

    def put(self, number: int, record: Record) -> bytes:
        """Write an organization, new or changed."""
        if self.shelf.exists(number) and not self.shelf.is_formula(number):
            self._slugs.pop(self.shelf.record(number)["slug"], None)
        self._slugs[record["slug"]] = number
        return self.shelf.put(number, record)

    def remove(self, number: int) -> Record:
        """Delete an organization and give back what it was."""
        record = self.shelf.record(number)
        self._slugs.pop(record["slug"], None)
        self.shelf.remove(number)
        return record

    def check_slug(self, slug: str, owner: int | None) -> None:
        """Refuse a slug that another organization has."""
        holder = self._with_slug(slug)
        if holder is not None and holder != owner:
            raise identifier_taken("slug")

    def _with_slug(self, slug: str) -> int | None:
        number = self._slugs.get(slug)
        if number is not None:
            return number
        number = _SLUG.number(slug)
        return number if number is not None and self.shelf.is_formula(number) else None


def role(text: str, roles: tuple[str, ...]) -> str:
    """A role that the instance knows.

    Raises:
        RefusalError: 422 for one without `org:`, 404 for one that is not there.
    """
    if not text.startswith("org:"):
        raise invalid("role", "must begin with org:")
    if text not in roles:
        raise not_found("organization role", text)
    return text
