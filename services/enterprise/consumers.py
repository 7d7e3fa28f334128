"""enterprise hears nothing."""

from shared.messaging import Subscription

SUBSCRIPTIONS: tuple[Subscription, ...] = ()
