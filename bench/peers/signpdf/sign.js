// sign.js KEYSTORE.p12 PASSWORD-FILE FILE.pdf SECONDS: signs the file over and over, prints documents per second.
const fs = require("node:fs");
const { SignPdf } = require("@signpdf/signpdf");
const { P12Signer } = require("@signpdf/signer-p12");
const { plainAddPlaceholder } = require("@signpdf/placeholder-plain");

async function main() {
  const [keystore, passwordFile, file, seconds] = process.argv.slice(2);
  const passphrase = fs.readFileSync(passwordFile, "utf8").trim();
  const keys = fs.readFileSync(keystore);
  const document = fs.readFileSync(file);
  const started = process.hrtime.bigint();
  const elapsed = () => Number(process.hrtime.bigint() - started) / 1e9;
  let count = 0;
  while (elapsed() < Number(seconds)) {
    const prepared = plainAddPlaceholder({
      pdfBuffer: document, reason: "", contactInfo: "", name: "", location: "",
    });
    // A P12Signer is spent by one signature: its buffer is consumed.
    await new SignPdf().sign(prepared, new P12Signer(keys, { passphrase }));
    count += 1;
  }
  console.log(`rate\t${count / elapsed()}`);
}

main();
