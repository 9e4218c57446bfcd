#!/bin/bash
# Makes throw-away certificates for tests; nothing it writes is ever committed.
# usage: Tests/Scripts/make-certs.sh DIR
#   DIR/ca.pem, ca.key              a certificate authority
#   DIR/localhost.pem, .key         localhost, 127.0.0.1, ::1
#   DIR/other.pem, .key             other.example.com and *.wild.example.com, for SNI
#   DIR/renewed.pem, .key           localhost again, another key and serial number, for replacing files in place
#   DIR/expired.pem, .key           localhost, expired
#   DIR/address.pem, .key           127.0.0.1 only; "address" is its common name
#   DIR/partial.pem, .key           w*.example.com, which is no proper wildcard
#   DIR/client.pem, .key            a client's
#   DIR/self-signed.pem, .key       localhost, known to no authority
#   DIR/mismatch.key, rsa.key       keys that fit none of the certificates, one of their kind and one of another
set -euo pipefail
dir=${1:?usage: make-certs.sh DIR}
mkdir -p "$dir"
umask 077

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$dir/$1.key"; }

key ca
openssl req -x509 -new -key "$dir/ca.key" -sha256 -days 30 -subj "/CN=Connector gateway test authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$dir/ca.pem"

serial=1000
# certificate NAME SUBJECT-ALT-NAMES DAYS [USE]; a negative number of days has expired already.
certificate() {
    serial=$((serial + 1))
    key "$1"
    openssl req -new -key "$dir/$1.key" -subj "/CN=$1" -out "$dir/$1.csr"
    printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=%s\n' "$2" "${4:-serverAuth}" \
        >"$dir/$1.ext"
    openssl x509 -req -in "$dir/$1.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -set_serial "$serial" -sha256 \
        -days "$3" -extfile "$dir/$1.ext" -out "$dir/$1.pem" 2>/dev/null
    rm "$dir/$1.csr" "$dir/$1.ext"
}

local_names=DNS:localhost,IP:127.0.0.1,IP:::1
certificate localhost "$local_names" 30
certificate other "DNS:other.example.com,DNS:*.wild.example.com" 30
certificate renewed "$local_names" 30
certificate expired "$local_names" -1
certificate address IP:127.0.0.1 30
certificate partial "DNS:w*.example.com" 30
certificate client DNS:client.example.com 30 clientAuth
key mismatch
openssl genrsa -out "$dir/rsa.key" 2048 2>/dev/null
key self-signed
openssl req -x509 -new -key "$dir/self-signed.key" -sha256 -days 30 -subj "/CN=localhost" \
    -addext "subjectAltName=$local_names" -out "$dir/self-signed.pem"
