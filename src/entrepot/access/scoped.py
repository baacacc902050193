"""The proof that a right was checked, carried by the thing it was checked for."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from entrepot.access.model import Permission, Principal

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Scoped(Generic[T_co]):
    """*resource*, which *principal* may use by *permission*. Only `authorize()` makes one."""

    resource: T_co
    principal: Principal
    permission: Permission
