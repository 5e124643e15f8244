"""The two pages that links in mails open. They show a form and change nothing: programs that look at links in
mails may open them.

The token is behind the `#` of the address, which browsers do not send; the script sends it back in a body.
Nothing else runs on these pages, nothing is loaded, and no other page may show them in a frame.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from gateway.web import NO_STORE, Answer

_STYLE: Final = """\
body{font:1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:4rem auto;padding:0 1rem;color:#222}
h1{font-size:1.4rem}
input,button{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;margin:.3rem 0 1rem}
button{border:0;border-radius:.3rem;background:#1d4ed8;color:#fff;cursor:pointer}
button:disabled{background:#888}
p[role]{font-weight:600}
"""
_SCRIPT: Final = """\
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
const token = new URLSearchParams(location.hash.slice(1)).get("token");
const say = (text) => { said.textContent = text; };
history.replaceState(null, "", location.pathname);
if (!token) { say("The link is not complete. Open it once more, as it is in the mail."); }
form.hidden = !token;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button"), body = {token, ...Object.fromEntries(new FormData(form))};
  button.disabled = true;
  try {
    const answer = await fetch(location.pathname, {
      method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
    });
    if (answer.ok) { form.hidden = true; say(form.dataset.done); return; }
    const problem = await answer.json();
    const named = (each) => form.dataset[each.field.split("_").pop()] + " " + each.message;
    const errors = (problem.errors || []).map(named);
    say(errors.join(" ") || problem.detail || problem.title);
  } catch { say("There was no answer. Try again in a moment."); }
  button.disabled = false;
});
"""


def _page(title: str, text: str, form: str) -> Answer:
    body = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{title}</title>\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<style>{_STYLE}</style>\n<h1>{title}</h1>\n<p>{text}</p>\n"
        f'<p role="status"></p>\n<noscript><p>This page needs JavaScript.</p></noscript>\n{form}\n'
        f"<script>{_SCRIPT}</script>\n</html>\n"
    )
    policy = (
        f"default-src 'none'; script-src '{_digest(_SCRIPT)}'; style-src '{_digest(_STYLE)}'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Answer(
        status=200,
        lines=(
            (b"Content-Type", b"text/html; charset=utf-8"),
            NO_STORE,
            (b"Content-Security-Policy", policy.encode()),
            (b"Referrer-Policy", b"no-referrer"),
            (b"X-Content-Type-Options", b"nosniff"),
        ),
        body=body.encode(),
    )


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"


CONFIRM_PAGE: Final = _page(
    "Confirm your e-mail address",
    "One more step, and your account can be used.",
    '<form hidden data-done="Your address is confirmed. You can log in." data-token="The link">'
    '<button type="submit">Confirm my address</button></form>',
)
RESET_PAGE: Final = _page(
    "Choose a new password",
    "You will be logged out everywhere, and log in with the new password.",
    '<form hidden data-done="Your password was changed. You can log in." data-token="The link" '
    'data-password="The password">'
    "<label>New password"
    '<input name="new_password" type="password" autocomplete="new-password" required></label>'
    '<button type="submit">Change my password</button></form>',
)
