"""Sign up for mail, confirm, unsubscribe."""

from flask import Blueprint

blueprint = Blueprint("subscribe", __name__)
