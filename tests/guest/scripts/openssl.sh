# Keys, randomness and a certificate.
set -e
openssl rand -hex 16
openssl genrsa -out key.pem 2048 2>/dev/null
openssl req -new -x509 -key key.pem -out cert.pem -days 30 -subj /CN=localhost
openssl x509 -in cert.pem -noout -fingerprint -sha256 -dates -serial
openssl dgst -sha256 -sign key.pem -out signature key.pem
openssl dgst -sha256 -verify <(openssl x509 -in cert.pem -noout -pubkey) -signature signature key.pem
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in key.pem | openssl dgst -sha256
