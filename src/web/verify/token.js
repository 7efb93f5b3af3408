/*
 * Tokens of RFC 3161: what one says, and whether an authority that the user
 * pins has said it.  Certificates are held against the time that the token
 * claims, not today.
 */

import { sha1 } from '@noble/hashes/legacy.js';
import { sha256, sha384, sha512 } from '@noble/hashes/sha2.js';
import { fromBER } from 'asn1js';
import { Certificate, ContentInfo, SignedData } from 'pkijs';

import { latin1, same, text, unbase64 } from './bytes.js';


const SIGNED_DATA = '1.2.840.113549.1.7.2';
const TST_INFO = '1.2.840.113549.1.9.16.1.4';
const SHA256 = '2.16.840.1.101.3.4.2.1';
const TIME_STAMPING = '1.3.6.1.5.5.7.3.8';
const SIGNING_CERTIFICATE = '1.2.840.113549.1.9.16.2.12';
const SIGNING_CERTIFICATE_V2 = '1.2.840.113549.1.9.16.2.47';
const DEPTH = 8;

const HASHES = {
    [SHA256]: sha256,
    '2.16.840.1.101.3.4.2.2': sha384,
    '2.16.840.1.101.3.4.2.3': sha512,
};


/* { signed, imprint, time, version }, or null where it is not of its form */

export function readToken(der) {
    try {
        const asn1 = fromBER(der);

        if (asn1.offset !== der.length) return null;

        const content = new ContentInfo({ schema: asn1.result });

        if (content.contentType !== SIGNED_DATA) return null;

        const signed = new SignedData({ schema: content.content });
        const inner = signed.encapContentInfo;

        if (inner.eContentType !== TST_INFO || !inner.eContent) return null;

        const raw = new Uint8Array(inner.eContent.getValue());
        const info = fromBER(raw);

        if (info.offset !== raw.length) return null;

        const [version, , imprint, , time] = info.result.valueBlock.value;
        const [algorithm, hash] = imprint.valueBlock.value;
        const digest = hash.valueBlock.valueHexView;
        const ms = parseTime(latin1(time.valueBlock.valueHexView));

        if (algorithm.valueBlock.value[0].valueBlock.toString() !== SHA256
            || digest.length !== 32 || ms === null || ms < 0)
        {
            return null;
        }

        return { signed, imprint: digest.slice(), time: ms,
                 version: version.valueBlock.valueDec };
    } catch {
        return null;
    }
}

/* YYYYMMDDhhmmss[.f...]Z, the one form that RFC 3161 has */

function parseTime(s) {
    const m = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d*))?Z$/.exec(s);

    if (!m) return null;

    const [y, mo, d, h, mi, sec] = m.slice(1, 7).map(Number);
    const ms = Number(((m[7] ?? '') + '000').slice(0, 3));
    const date = new Date(0);

    /* of the year 0 to 99 Date.UTC makes something else */
    date.setUTCFullYear(y, mo - 1, d);

    return date.getTime() + ((h * 60 + mi) * 60 + sec) * 1000 + ms;
}


/* the certificates of a PEM file, as bytes */

export function readPem(file) {
    const out = [];
    const block = new RegExp('-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----'
                             + '([^-]*)-----END', 'g');

    for (const [, body] of text(file).matchAll(block)) {
        const der = unbase64(body.replace(/\s/g, ''));

        try {
            if (!der) break;
            out.push(Certificate.fromBER(der));
        } catch {
            break;
        }
    }

    return out;
}


/* is the token signed, and by whom the pins lead to? */

export async function trusted(token, subject, pins) {
    const { signed } = token;

    if (pins.length === 0 || token.version !== 1
        || signed.signerInfos.length !== 1)
    {
        return false;
    }

    try {
        const made = await signed.verify({
            signer: 0, data: subject.raw.slice().buffer, checkChain: false,
            extendedMode: true,
        });

        if (!made.signatureVerified) return false;

        const signer = made.signerCertificate;
        const given = signed.certificates.filter(
            (x) => x instanceof Certificate);

        return named(signed.signerInfos[0], signer)
               && mayStamp(signer)
               && await leads(signer, given, pins, token.time, 0);
    } catch {
        return false;
    }
}

/* the signer names its certificate (ESS), so that none can be put in place */

function named(info, cert) {
    const der = new Uint8Array(cert.toSchema(true).toBER());

    for (const { type, values } of info.signedAttrs?.attributes ?? []) {
        if (type !== SIGNING_CERTIFICATE && type !== SIGNING_CERTIFICATE_V2)
            continue;

        const [id] = values[0].valueBlock.value[0].valueBlock.value;
        const parts = id.valueBlock.value;
        const hash = parts.find((p) => p.idBlock.tagNumber === 4);

        let make = sha256;

        if (type === SIGNING_CERTIFICATE) {
            make = sha1;
        } else if (parts[0].idBlock.tagNumber === 16) {
            make = HASHES[parts[0].valueBlock.value[0].valueBlock.toString()];
        }

        return !!make && same(hash.valueBlock.valueHexView, make(der));
    }

    return false;
}

/* extended key usage: to stamp times, that alone, and critical */

function mayStamp(cert) {
    const use = extension(cert, '2.5.29.37');
    const key = extension(cert, '2.5.29.15');

    if (!use?.critical || use.parsedValue.keyPurposes.length !== 1
        || use.parsedValue.keyPurposes[0] !== TIME_STAMPING)
    {
        return false;
    }

    /* digitalSignature, nonRepudiation, and nothing beside them */
    return !key || (keyBits(key) & 0xc0) !== 0 && !(keyBits(key) & 0x3f);
}

function keyBits(key) {
    return key.parsedValue.valueBlock.valueHexView[0];
}

function extension(cert, id) {
    return cert.extensions?.find((e) => e.extnID === id);
}

async function leads(cert, given, pins, time, depth) {
    if (time < cert.notBefore.value.getTime()
        || time > cert.notAfter.value.getTime() || depth > DEPTH)
    {
        return false;
    }

    /* the end of the chain: pinned, and its own issuer */

    if (pins.some((pin) => equal(pin, cert)))
        if (cert.issuer.isEqual(cert.subject)) return cert.verify();

    for (const issuer of [...pins, ...given]) {
        if (!equal(issuer, cert) && cert.issuer.isEqual(issuer.subject)
            && maySign(issuer, depth) && await cert.verify(issuer)
            && await leads(issuer, given, pins, time, depth + 1))
        {
            return true;
        }
    }

    return false;
}

function maySign(cert, below) {
    const basic = extension(cert, '2.5.29.19')?.parsedValue;
    const key = extension(cert, '2.5.29.15');

    if (!basic?.cA || (key && !(keyBits(key) & 0x04))) return false;

    return typeof basic.pathLenConstraint !== 'number'
           || basic.pathLenConstraint >= below;
}

function equal(a, b) {
    return same(new Uint8Array(a.toSchema(true).toBER()),
                new Uint8Array(b.toSchema(true).toBER()));
}
