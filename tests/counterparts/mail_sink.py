"""A mail server by aiosmtpd: mail_sink.py OUT [AUTHORITY [wrapped]]

Prints its port, and appends to OUT a line of JSON for each message, as Python's `email` and `html.parser` read it. With
AUTHORITY it wants STARTTLS and the login `deploy`, `correct horse`, and writes the certificate to trust into that file; `wrapped`, it speaks TLS from the first byte instead."""

import asyncio
import datetime
import email
import email.policy
import html.parser
import json
import ssl
import sys
import tempfile

from aiosmtpd.smtp import SMTP, AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Seen(html.parser.HTMLParser):
    """What there is in HTML: elements, their attributes, where links lead, and the text of its body."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.elements, self.attributes, self.links, self.text, self.style = set(), set(), set(), "", False

    def handle_starttag(self, tag, attrs):
        self.elements.add(tag)
        self.style = tag == "style"
        self.attributes.update(name for name, _ in attrs)
        self.links.update(value for name, value in attrs if name in ("href", "src", "action", "background"))

    def handle_endtag(self, tag):
        self.style = False

    def handle_data(self, data):
        if not self.style:
            self.text += data

    def handle_comment(self, data):
        self.elements.add("comment")


def read(server, envelope, session):
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    parts = [(part.get_content_type(), part.get_content()) for part in message.iter_parts()]
    seen = Seen()
    seen.feed(dict(parts).get("text/html", ""))
    seen.close()
    return {
        "from": envelope.mail_from,
        "to": envelope.rcpt_tos,
        "tls": (session.ssl or server.transport.get_extra_info("sslcontext")) is not None,
        "login": session.authenticated,
        "headers": [[name, str(value)] for name, value in message.items()],
        "in_copy": [it.addr_spec for it in message["cc"].addresses] if message["cc"] else [],
        "defects": [repr(it) for part in message.walk() for it in part.defects]
        + [repr(it) for value in message.values() for it in value.defects],
        "kind": message.get_content_type(),
        "parts": parts,
        "elements": sorted(seen.elements),
        "attributes": sorted(seen.attributes),
        "links": sorted(seen.links),
        "shown": seen.text,
    }


class Sink:
    def __init__(self, out):
        self.out = out

    async def handle_DATA(self, server, session, envelope):
        with open(self.out, "a", encoding="utf-8") as out:
            out.write(json.dumps(read(server, envelope, session)) + "\n")
        return "250 2.0.0 kept"


def certified(authority):
    """A certificate for 127.0.0.1 that is its own authority, which is written to be trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail sink")])
    now = datetime.datetime.now(datetime.timezone.utc)
    here = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    made = made.add_extension(here, critical=False).sign(key, hashes.SHA256())
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with open(authority, "wb") as file:
        file.write(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as chain:
        chain.write(private + pem)
        chain.flush()
        context.load_cert_chain(chain.name)
    return context


def judged(server, session, envelope, mechanism, data):
    is_known = (data.login, data.password) == (b"deploy", b"correct horse")
    return AuthResult(success=is_known, handled=is_known or None)


async def serve(out, authority=None, wrapped=None):
    wanted = {"hostname": "sink.example"}
    context = certified(authority) if authority else None
    if context:
        wanted |= {"authenticator": judged, "auth_required": True, "auth_require_tls": not wrapped}
    if context and not wrapped:
        wanted |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Sink(out), **wanted), "127.0.0.1", 0, ssl=context if wrapped else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(serve(*sys.argv[1:]))
