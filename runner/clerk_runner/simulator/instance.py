"""One simulated instance: its data, and every operation that it plays."""

from .call import Call, Reply
from .formulas import Pattern
from .ids import Ids
from .invitations import Invitations, InvitationSettings
from .membership_operations import MembershipOperations, MembershipSettings
from .memberships import Memberships
from .organization_invitations import OrganizationInvitations, OrganizationInvitationSettings
from .organization_operations import OrganizationOperations
from .organizations import Organizations
from .routes import Route
from .settings import SimulatorSettings
from .throttle import (
    INVITATION,
    INVITATION_BULK,
    MEMBERSHIP,
    ORGANIZATION,
    ORGANIZATION_INVITATION,
    ORGANIZATION_INVITATION_BULK,
    USER,
)
from .user_lists import UserLists, UserListSettings
from .user_operations import UserOperations
from .users import Users
from .waitlist import Waitlist

_DEVELOPMENT_USERS = 100


class Instance:
    """The data of an instance, made by formula, and the routes to the operations on it."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings
        seed = settings.seed
        self.users = Users(settings.users, settings.user_email, settings.user_created, seed)
        self.organizations = Organizations(settings.organizations, seed)
        self.memberships = Memberships(self.users, self.organizations, settings.members, seed)
        self._organization_invitations = OrganizationInvitations(
            self.organizations,
            self.memberships,
            OrganizationInvitationSettings(settings.bulk, settings.duplicate_lag_s, settings.roles, seed),
        )
        self._id = Ids("ins_", seed).make(int(settings.production))

    async def get(self, call: Call) -> Reply:
        """GET /instance."""
        del call
        return Reply.json(
            {
                "object": "instance",
                "id": self._id,
                "environment_type": "production" if self._settings.production else "development",
                "allowed_origins": None,
                "workspace_id": None,
            }
        )

    async def get_jwks(self, call: Call) -> Reply:
        """GET /jwks: the one operation without a limit."""
        del call
        return Reply.json({"keys": []})

    def routes(self) -> list[Route]:
        """Every operation."""
        return [
            Route("GET", "/instance", self.get),
            Route("GET", "/jwks", self.get_jwks, exempt=True),
            *self._user_routes(),
            *self._invitation_routes(),
            *self._organization_routes(),
            *self._organization_invitation_routes(),
            *self._membership_routes(),
            *self._waitlist_routes(),
        ]

    def _user_routes(self) -> list[Route]:
        settings = self._settings
        lists = UserLists(
            self.users,
            self.memberships,
            UserListSettings(settings.created_at_bounds, settings.deleted_cursor),
        )
        quota = settings.user_quota
        if quota is None and not settings.production:
            quota = _DEVELOPMENT_USERS
        single = UserOperations(self.users, quota, self.memberships.remove_user, settings.seed)
        one, data = "/users/{user_id}", (USER,)
        return [
            Route("GET", "/users", lists.list_page),
            Route("GET", "/users/count", lists.count),
            Route("POST", "/users", single.create),
            Route("GET", one, single.get),
            Route("PATCH", one, single.update, data),
            Route("DELETE", one, single.delete),
            Route("PATCH", f"{one}/metadata", single.merge_metadata, data),
            Route("PUT", f"{one}/metadata", single.replace_metadata, data),
            Route("POST", "/users/ban", single.mark_many("BanUser")),
            Route("POST", "/users/unban", single.mark_many("UnbanUser")),
            Route("POST", f"{one}/ban", single.mark("BanUser")),
            Route("POST", f"{one}/unban", single.mark("UnbanUser")),
            Route("POST", f"{one}/lock", single.mark("LockUser")),
            Route("POST", f"{one}/unlock", single.mark("UnlockUser")),
        ]

    def _invitation_routes(self) -> list[Route]:
        settings = self._settings
        invitations = Invitations(
            InvitationSettings(
                settings.invitations,
                Pattern(settings.invitation_email),
                settings.bulk,
                settings.duplicate_lag_s,
                settings.seed,
            ),
            self.users,
        )
        return [
            Route("GET", "/invitations", invitations.list_page),
            Route("POST", "/invitations", invitations.create, (INVITATION,)),
            Route("POST", "/invitations/bulk", invitations.create_bulk, (INVITATION_BULK,)),
            Route("POST", "/invitations/{invitation_id}/revoke", invitations.revoke),
        ]

    def _organization_routes(self) -> list[Route]:
        one, data = "/organizations/{organization_id}", (ORGANIZATION,)
        single = OrganizationOperations(self.organizations, self.memberships, self._organization_invitations.drop)
        return [
            Route("GET", "/organizations", single.list_page),
            Route("POST", "/organizations", single.create),
            Route("GET", one, single.get),
            Route("PATCH", one, single.update, data),
            Route("DELETE", one, single.delete),
            Route("PATCH", f"{one}/metadata", single.merge_metadata, data),
            Route("PUT", f"{one}/metadata", single.replace_metadata, data),
        ]

    def _organization_invitation_routes(self) -> list[Route]:
        invitations = self._organization_invitations
        many, single, bulk = (
            "/organizations/{organization_id}/invitations",
            ORGANIZATION_INVITATION,
            ORGANIZATION_INVITATION_BULK,
        )
        return [
            Route("GET", many, invitations.list_page),
            Route("POST", many, invitations.create, (single,)),
            Route("POST", f"{many}/bulk", invitations.create_bulk, (bulk,)),
            Route("GET", f"{many}/pending", invitations.list_pending),
            Route("GET", f"{many}/{{invitation_id}}", invitations.get),
            Route("POST", f"{many}/{{invitation_id}}/revoke", invitations.revoke),
            Route("GET", "/organization_invitations", invitations.list_all),
            Route("GET", "/users/{user_id}/organization_invitations", invitations.list_of_user),
        ]

    def _membership_routes(self) -> list[Route]:
        settings = self._settings
        memberships = MembershipOperations(
            self.memberships,
            self.organizations,
            MembershipSettings(settings.roles, settings.created_at_bounds),
        )
        many, data = "/organizations/{organization_id}/memberships", (MEMBERSHIP,)
        one = f"{many}/{{user_id}}"
        return [
            Route("GET", many, memberships.list_page),
            Route("POST", many, memberships.create),
            Route("PATCH", one, memberships.update, data),
            Route("DELETE", one, memberships.delete),
            Route("PATCH", f"{one}/metadata", memberships.merge_metadata, data),
            Route("GET", "/organization_memberships", memberships.list_all),
            Route("GET", "/users/{user_id}/organization_memberships", memberships.list_of_user),
        ]

    def _waitlist_routes(self) -> list[Route]:
        waitlist = Waitlist(self._settings.seed)
        return [
            Route("GET", "/waitlist_entries", waitlist.list_page),
            Route("POST", "/waitlist_entries", waitlist.create),
            Route("POST", "/waitlist_entries/bulk", waitlist.create_bulk),
            Route("DELETE", "/waitlist_entries/{waitlist_entry_id}", waitlist.delete),
        ]
