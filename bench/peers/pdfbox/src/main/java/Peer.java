import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Calendar;
import org.apache.pdfbox.Loader;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.SignatureInterface;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cert.jcajce.JcaX509CertificateHolder;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

/**
 * Peer KEYSTORE.p12 PASSWORD-FILE FILE.pdf SECONDS: signs the file over and over until the JVM is warm, then prints
 * the median documents per second of three rounds, by the clock on the wall.
 */
public final class Peer {
    private static final double WARM_SECONDS = 12; // after that the JIT finds nothing more to do

    public static void main(String[] arguments) throws Exception {
        char[] password = Files.readString(Path.of(arguments[1])).trim().toCharArray();
        KeyStore store = KeyStore.getInstance("PKCS12");
        try (InputStream in = new FileInputStream(arguments[0])) {
            store.load(in, password);
        }
        String alias = store.aliases().nextElement();
        PrivateKey key = (PrivateKey) store.getKey(alias, password);
        Certificate[] chain = store.getCertificateChain(alias);
        byte[] document = Files.readAllBytes(Path.of(arguments[2]));
        double seconds = Double.parseDouble(arguments[3]);
        SignatureInterface signer = content -> cms(content, key, chain);
        run(document, signer, Math.max(WARM_SECONDS, seconds)); // a warm machine is the fair one
        double[] rates = new double[3];
        for (int round = 0; round < rates.length; round++) {
            rates[round] = run(document, signer, seconds);
        }
        Arrays.sort(rates);
        System.out.println("rate\t" + rates[1]);
    }

    private static double run(byte[] document, SignatureInterface signer, double seconds) throws IOException {
        long started = System.nanoTime();
        long count = 0;
        while ((System.nanoTime() - started) / 1e9 < seconds) {
            try (PDDocument pdf = Loader.loadPDF(document)) {
                PDSignature signature = new PDSignature();
                signature.setFilter(PDSignature.FILTER_ADOBE_PPKLITE);
                signature.setSubFilter(PDSignature.SUBFILTER_ETSI_CADES_DETACHED);
                signature.setSignDate(Calendar.getInstance());
                pdf.addSignature(signature, signer);
                pdf.saveIncremental(new ByteArrayOutputStream(document.length + 40_000));
            }
            count++;
        }
        return count / ((System.nanoTime() - started) / 1e9);
    }

    private static byte[] cms(InputStream content, PrivateKey key, Certificate[] chain) throws IOException {
        try {
            CMSSignedDataGenerator generator = new CMSSignedDataGenerator();
            ContentSigner sha256 = new JcaContentSignerBuilder("SHA256WithRSA").build(key);
            generator.addSignerInfoGenerator(new JcaSignerInfoGeneratorBuilder(
                new JcaDigestCalculatorProviderBuilder().build())
                .build(sha256, new JcaX509CertificateHolder((X509Certificate) chain[0])));
            generator.addCertificates(new JcaCertStore(Arrays.asList(chain)));
            return generator.generate(new CMSProcessableByteArray(content.readAllBytes()), false).getEncoded();
        } catch (Exception error) {
            throw new IOException(error);
        }
    }
}
