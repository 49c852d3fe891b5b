import eu.europa.esig.dss.asic.cades.ASiCWithCAdESSignatureParameters;
import eu.europa.esig.dss.asic.cades.signature.ASiCWithCAdESService;
import eu.europa.esig.dss.asic.common.signature.AbstractASiCSignatureService;
import eu.europa.esig.dss.asic.xades.ASiCWithXAdESSignatureParameters;
import eu.europa.esig.dss.asic.xades.signature.ASiCWithXAdESService;
import eu.europa.esig.dss.cades.CAdESSignatureParameters;
import eu.europa.esig.dss.cades.signature.CAdESCounterSignatureParameters;
import eu.europa.esig.dss.cades.signature.CAdESService;
import eu.europa.esig.dss.enumerations.ASiCContainerType;
import eu.europa.esig.dss.enumerations.DigestAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureAlgorithm;
import eu.europa.esig.dss.enumerations.SignatureLevel;
import eu.europa.esig.dss.enumerations.SignaturePackaging;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.SignatureValue;
import eu.europa.esig.dss.model.ToBeSigned;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.signature.AbstractSignatureParameters;
import eu.europa.esig.dss.signature.DocumentSignatureService;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.spi.x509.revocation.crl.ExternalResourcesCRLSource;
import eu.europa.esig.dss.spi.x509.tsp.KeyEntityTSPSource;
import eu.europa.esig.dss.pades.PAdESSignatureParameters;
import eu.europa.esig.dss.pades.signature.PAdESService;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.xades.XAdESSignatureParameters;
import eu.europa.esig.dss.xades.reference.CanonicalizationTransform;
import eu.europa.esig.dss.xades.reference.DSSReference;
import eu.europa.esig.dss.xades.signature.ManifestBuilder;
import eu.europa.esig.dss.xades.signature.XAdESCounterSignatureParameters;
import eu.europa.esig.dss.xades.signature.XAdESService;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.List;

/**
 * Signer PKI OUT FILE XML [PDF]: every format and level that EU DSS writes, for others to read. PKI holds
 * signer.key (PKCS #8) and signer.cer, issuing.cer, root.cer, tsa.key, tsa.cer, root.crl,
 * issuing.crl. Nothing is fetched.
 */
public final class Signer {
    private static Path pki;
    private static Path out;
    private static PrivateKey key;
    private static CertificateToken signer;
    private static List<CertificateToken> chain;
    private static CommonCertificateVerifier verifier;
    private static KeyEntityTSPSource tsa;

    public static void main(String[] arguments) throws Exception {
        pki = Path.of(arguments[0]);
        out = Path.of(arguments[1]);
        DSSDocument file = new FileDocument(arguments[2]);
        DSSDocument xml = new FileDocument(arguments[3]);
        DSSDocument pdf = arguments.length > 4 ? new FileDocument(arguments[4]) : null;
        key = key("signer.key");
        signer = certificate("signer.cer");
        CertificateToken issuing = certificate("issuing.cer");
        CertificateToken root = certificate("root.cer");
        chain = List.of(signer, issuing, root);
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        trusted.addCertificate(root);
        verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        verifier.setCrlSource(new ExternalResourcesCRLSource(
            new FileDocument(pki.resolve("root.crl").toString()),
            new FileDocument(pki.resolve("issuing.crl").toString())));
        tsa = new KeyEntityTSPSource(key("tsa.key"), certificate("tsa.cer"),
            List.of(certificate("tsa.cer"), issuing, root));
        tsa.setTsaPolicy("1.2.3.4");
        unusual(file, xml);
        for (String level : List.of("B", "T", "LT", "LTA")) {
            SignatureLevel cades = SignatureLevel.valueOf("CAdES_BASELINE_" + level);
            SignatureLevel xades = SignatureLevel.valueOf("XAdES_BASELINE_" + level);
            if (pdf != null) {
                PAdESSignatureParameters parameters = new PAdESSignatureParameters();
                parameters.setSignatureLevel(SignatureLevel.valueOf("PAdES_BASELINE_" + level));
                one(new PAdESService(verifier), pdf, parameters, "pades-" + level + ".pdf");
            }
            for (SignaturePackaging packaging : List.of(SignaturePackaging.DETACHED, SignaturePackaging.ENVELOPING)) {
                CAdESSignatureParameters parameters = new CAdESSignatureParameters();
                parameters.setSignatureLevel(cades);
                parameters.setSignaturePackaging(packaging);
                one(new CAdESService(verifier), file, parameters, "cades-" + packaging + "-" + level + ".p7");
            }
            for (SignaturePackaging packaging : List.of(SignaturePackaging.DETACHED, SignaturePackaging.ENVELOPING,
                    SignaturePackaging.ENVELOPED)) {
                XAdESSignatureParameters parameters = new XAdESSignatureParameters();
                parameters.setSignatureLevel(xades);
                parameters.setSignaturePackaging(packaging);
                one(new XAdESService(verifier), packaging == SignaturePackaging.ENVELOPED ? xml : file, parameters,
                    "xades-" + packaging + "-" + level + ".xml");
            }
            for (ASiCContainerType kind : List.of(ASiCContainerType.ASiC_E, ASiCContainerType.ASiC_S)) {
                List<DSSDocument> files = kind == ASiCContainerType.ASiC_E ? List.of(file, xml) : List.of(file);
                ASiCWithCAdESSignatureParameters withCades = new ASiCWithCAdESSignatureParameters();
                withCades.aSiC().setContainerType(kind);
                withCades.setSignatureLevel(cades);
                many(new ASiCWithCAdESService(verifier), files, withCades, "asic-cades-" + kind + "-" + level + ".asic");
                ASiCWithXAdESSignatureParameters withXades = new ASiCWithXAdESSignatureParameters();
                withXades.aSiC().setContainerType(kind);
                withXades.setSignatureLevel(xades);
                many(new ASiCWithXAdESService(verifier), files, withXades, "asic-xades-" + kind + "-" + level + ".asic");
            }
        }
    }

    /** What few programs write: counter-signatures, a list of digests, several files, comments. */
    private static void unusual(DSSDocument file, DSSDocument xml) throws Exception {
        XAdESService xades = new XAdESService(verifier);
        xades.setTspSource(tsa);
        CAdESService cades = new CAdESService(verifier);
        cades.setTspSource(tsa);

        XAdESSignatureParameters enveloped = new XAdESSignatureParameters();
        prepare(enveloped);
        enveloped.setSignatureLevel(SignatureLevel.XAdES_BASELINE_LT);
        enveloped.setSignaturePackaging(SignaturePackaging.ENVELOPED);
        DSSDocument first = xades.signDocument(xml, enveloped, signed(xades.getDataToSign(xml, enveloped)));
        XAdESCounterSignatureParameters counterXades = new XAdESCounterSignatureParameters();
        prepare(counterXades);
        counterXades.setSignatureLevel(SignatureLevel.XAdES_BASELINE_B);
        counterXades.setSignatureIdToCounterSign(id(first));
        ToBeSigned octets = xades.getDataToBeCounterSigned(first, counterXades);
        xades.counterSignSignature(first, counterXades, signed(octets)).save(out.resolve("unusual-counter.xml").toString());

        CAdESSignatureParameters enveloping = new CAdESSignatureParameters();
        prepare(enveloping);
        enveloping.setSignatureLevel(SignatureLevel.CAdES_BASELINE_LT);
        enveloping.setSignaturePackaging(SignaturePackaging.ENVELOPING);
        first = cades.signDocument(file, enveloping, signed(cades.getDataToSign(file, enveloping)));
        CAdESCounterSignatureParameters counterCades = new CAdESCounterSignatureParameters();
        prepare(counterCades);
        counterCades.setSignatureLevel(SignatureLevel.CAdES_BASELINE_B);
        counterCades.setSignatureIdToCounterSign(id(first));
        octets = cades.getDataToBeCounterSigned(first, counterCades);
        cades.counterSignSignature(first, counterCades, signed(octets)).save(out.resolve("unusual-counter.p7").toString());

        for (List<DSSDocument> files : List.of(List.of(file), List.of(file, xml))) {
            XAdESSignatureParameters listed = new XAdESSignatureParameters();
            listed.setSignatureLevel(SignatureLevel.XAdES_BASELINE_LTA);
            listed.setSignaturePackaging(SignaturePackaging.ENVELOPING);
            listed.setManifestSignature(true);
            DSSDocument list = new ManifestBuilder(DigestAlgorithm.SHA256, files).build();
            one(xades, list, listed, "unusual-manifest-" + files.size() + ".xml");
        }
        XAdESSignatureParameters detached = new XAdESSignatureParameters();
        prepare(detached);
        detached.setSignatureLevel(SignatureLevel.XAdES_BASELINE_LT);
        detached.setSignaturePackaging(SignaturePackaging.DETACHED);
        List<DSSDocument> both = List.of(file, xml);
        octets = xades.getDataToSign(both, detached);
        xades.signDocument(both, detached, signed(octets)).save(out.resolve("unusual-two-files.xml").toString());

        XAdESSignatureParameters commented = new XAdESSignatureParameters();
        commented.setSignatureLevel(SignatureLevel.XAdES_BASELINE_LT);
        commented.setSignaturePackaging(SignaturePackaging.DETACHED);
        DSSReference reference = new DSSReference();
        reference.setId("with-comments");
        reference.setUri("ho-so.xml");
        reference.setContents(xml);
        reference.setDigestMethodAlgorithm(DigestAlgorithm.SHA256);
        reference.setTransforms(List.of(
            new CanonicalizationTransform("http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments")));
        commented.setReferences(List.of(reference));
        one(xades, xml, commented, "unusual-comments.xml");
    }

    private static String id(DSSDocument document) {
        return SignedDocumentValidator.fromDocument(document).getSignatures().get(0).getId();
    }

    private static <P extends AbstractSignatureParameters<?>> void one(
            DocumentSignatureService<P, ?> service, DSSDocument file, P parameters, String name) throws Exception {
        prepare(parameters);
        service.setTspSource(tsa);
        ToBeSigned octets = service.getDataToSign(file, parameters);
        service.signDocument(file, parameters, signed(octets)).save(out.resolve(name).toString());
    }

    private static <P extends AbstractSignatureParameters<?>> void many(
            AbstractASiCSignatureService<P, ?, ?, ?> service, List<DSSDocument> files, P parameters, String name)
            throws Exception {
        prepare(parameters);
        service.setTspSource(tsa);
        ToBeSigned octets = service.getDataToSign(files, parameters);
        service.signDocument(files, parameters, signed(octets)).save(out.resolve(name).toString());
    }

    private static void prepare(AbstractSignatureParameters<?> parameters) {
        parameters.setSigningCertificate(signer);
        parameters.setCertificateChain(chain);
        parameters.setDigestAlgorithm(DigestAlgorithm.SHA256);
    }

    private static SignatureValue signed(ToBeSigned octets) throws Exception {
        Signature hand = Signature.getInstance("SHA256withRSA");
        hand.initSign(key);
        hand.update(octets.getBytes());
        return new SignatureValue(SignatureAlgorithm.RSA_SHA256, hand.sign());
    }

    private static PrivateKey key(String name) throws Exception {
        byte[] der = Files.readAllBytes(pki.resolve(name));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    private static CertificateToken certificate(String name) {
        return DSSUtils.loadCertificate(new File(pki.resolve(name).toString()));
    }
}
