//! JSON Web Tokens (RFC 7519) against a set of public keys (RFC 7517). Algorithms with shared keys, and none, are refused whatever a
//! token's header says.

use crate::{guard, message_json, write_out, Buf, Str};
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{decode, decode_header, Algorithm, DecodingKey, Validation};
use serde_json::Value;

const MOST_KEYS: usize = 100;
const LEEWAY_SECONDS: u64 = 60; // clocks differ

enum Refused {
    UnknownKey(String),
    Other(String),
}

fn other(message: impl Into<String>) -> Refused {
    Refused::Other(message.into())
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn verify(token: &str, keys: &str, options: &str) -> Result<Value, Refused> {
    use Algorithm::{EdDSA, ES256, ES384, PS256, PS384, PS512, RS256, RS384, RS512};
    let header = decode_header(token).map_err(|_| other("it is no JSON Web Token"))?;
    if ![RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, EdDSA].contains(&header.alg) {
        return Err(other(format!("its algorithm {:?} is not one of public keys", header.alg)));
    }
    let keys: Value = serde_json::from_str(keys).map_err(|_| other("the issuer's keys are not JSON"))?;
    let options: Value = serde_json::from_str(options).map_err(|_| other("the options are not JSON"))?;
    let mut validation = Validation::new(header.alg);
    validation.leeway = LEEWAY_SECONDS;
    validation.validate_nbf = true;
    validation.set_audience(&texts(&options["audience"]));
    validation.set_issuer(&[options["issuer"].as_str().unwrap_or_default()]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    // Kinds of keys that are not known here are passed over, as RFC 7517 asks.
    let known: Vec<Jwk> = keys["keys"]
        .as_array()
        .into_iter()
        .flatten()
        .take(MOST_KEYS)
        .filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok())
        .filter(|key| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption)))
        .filter(|key| key.common.key_algorithm.map_or(true, |alg| alg.to_string() == format!("{:?}", header.alg)))
        .filter(|key| header.kid.is_none() || key.common.key_id == header.kid)
        .collect();
    let mut why = Refused::UnknownKey("none of the issuer's keys has its id".into());
    for key in known {
        let Ok(decoding) = DecodingKey::from_jwk(&key) else { continue };
        match decode::<Value>(token, &decoding, &validation) {
            Ok(data) => return Ok(data.claims),
            Err(error) => {
                use jsonwebtoken::errors::ErrorKind::*;
                why = match error.kind() {
                    // Another key may have signed it.
                    InvalidSignature | InvalidAlgorithm | InvalidKeyFormat => Refused::UnknownKey("none of the issuer's keys signed it".into()),
                    ExpiredSignature => return Err(other("it has expired")),
                    ImmatureSignature => return Err(other("it is not valid yet")),
                    InvalidAudience => return Err(other("it is for another audience")),
                    InvalidIssuer => return Err(other("it is another issuer's")),
                    MissingRequiredClaim(name) => return Err(other(format!("it has no claim '{name}'"))),
                    _ => return Err(other("it cannot be read")),
                };
            }
        }
    }
    Err(why)
}

/// # Safety
/// The texts are readable, `out` is writable.
#[no_mangle]
pub unsafe extern "C" fn sb_jwt_verify(token: Str, keys: Str, options: Str, out: *mut Buf) -> i32 {
    let outcome = guard(|| {
        let read = |text: Str| unsafe { text.text() }.map_err(Refused::Other);
        verify(read(token)?, read(keys)?, read(options)?)
    });
    let (code, text) = match outcome {
        Ok(Ok(claims)) if claims.is_object() => (0, claims.to_string()),
        Ok(Ok(_)) => (1, message_json("its claims are no object")),
        Ok(Err(Refused::UnknownKey(why))) => (2, message_json(&why)),
        Ok(Err(Refused::Other(why))) | Err(why) => (1, message_json(&why)),
    };
    unsafe { write_out(out, text) };
    code
}
