import eu.europa.esig.dss.diagnostic.DiagnosticData;
import eu.europa.esig.dss.enumerations.Indication;
import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Judge --trust ROOT.cer… [--content FILE] FILE…: one line a signature, fields separated by tabs:
 * file, signature, indication, sub-indication, format, messages. Nothing is fetched: what a
 * verdict needs must be inside the file.
 */
public final class Judge {
    public static void main(String[] arguments) throws Exception {
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        List<String> files = new ArrayList<>();
        Map<String, DSSDocument> contents = new HashMap<>();
        boolean reports = false;
        long repeat = 1;
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i].equals("--trust")) {
                CertificateToken root = DSSUtils.loadCertificate(new File(arguments[++i]));
                trusted.addCertificate(root);
            } else if (arguments[i].equals("--reports")) {
                reports = true;
            } else if (arguments[i].equals("--content")) {
                // what the next file, a detached signature, is about
                contents.put(arguments[i + 2], new FileDocument(arguments[++i]));
            } else if (arguments[i].equals("--repeat")) {
                repeat = Long.parseLong(arguments[++i]);
            } else {
                files.add(arguments[i]);
            }
        }
        for (long round = 0; round < repeat; round++) {
            long started = System.nanoTime();
            for (String file : files) {
                judge(file, contents.get(file), trusted, reports, round == 0);
            }
            if (repeat > 1) {
                System.out.println("round\t" + round + "\t" + (System.nanoTime() - started) / 1e9);
            }
        }
    }

    private static void judge(String file, DSSDocument content, CommonTrustedCertificateSource trusted,
            boolean reports, boolean print) throws Exception {
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        verifier.setOcspSource(null);
        verifier.setCrlSource(null);
        DSSDocument document = new FileDocument(file);
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(document);
        validator.setCertificateVerifier(verifier);
        if (content != null) {
            validator.setDetachedContents(List.of(content));
        }
        Reports result = validator.validateDocument();
        if (!print) {
            return;
        }
        SimpleReport simple = result.getSimpleReport();
        DiagnosticData facts = result.getDiagnosticData();
        for (String id : simple.getSignatureIdList()) {
            Indication indication = simple.getIndication(id);
            List<Object> messages = new ArrayList<>();
            simple.getAdESValidationErrors(id).forEach(message -> messages.add(message.getValue()));
            simple.getAdESValidationWarnings(id).forEach(message -> messages.add("warning: " + message.getValue()));
            System.out.println(String.join("\t", file, id, String.valueOf(indication),
                String.valueOf(simple.getSubIndication(id)), String.valueOf(simple.getSignatureFormat(id)),
                String.valueOf(facts.getSignatureById(id).isSignatureIntact()), messages.toString()));
        }
        if (reports) {
            Files.writeString(Path.of(file + ".detailed.xml"), result.getXmlDetailedReport());
        }
    }
}
