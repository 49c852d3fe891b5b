import eu.europa.esig.dss.model.DSSDocument;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.ers.ERSByteData;
import org.bouncycastle.tsp.ers.ERSData;
import org.bouncycastle.tsp.ers.ERSEvidenceRecord;

/**
 * EvidenceJudge --trust ROOT.cer… --object FILE… RECORD…: what EU DSS says of evidence records
 * (RFC 4998) about the objects, and whether BouncyCastle finds each object in them. Two lines a
 * record, fields separated by tabs: record, "dss", indication, sub-indication, time, messages;
 * record, "bouncycastle", number of objects found.
 */
public final class EvidenceJudge {
    public static void main(String[] arguments) throws Exception {
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        List<DSSDocument> objects = new ArrayList<>();
        List<File> files = new ArrayList<>();
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i].equals("--trust")) {
                trusted.addCertificate(DSSUtils.loadCertificate(new File(arguments[++i])));
            } else if (arguments[i].equals("--object")) {
                files.add(new File(arguments[++i]));
                objects.add(new FileDocument(files.get(files.size() - 1)));
            } else {
                judge(arguments[i], objects, trusted);
                contained(arguments[i], files);
            }
        }
    }

    private static void judge(String record, List<DSSDocument> objects, CommonTrustedCertificateSource trusted) {
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        verifier.setOcspSource(null);
        verifier.setCrlSource(null);
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(record));
        validator.setCertificateVerifier(verifier);
        validator.setDetachedContents(objects);
        Reports result = validator.validateDocument();
        SimpleReport simple = result.getSimpleReport();
        for (String id : simple.getEvidenceRecordIdList()) {
            List<Object> messages = new ArrayList<>();
            simple.getAdESValidationErrors(id).forEach(message -> messages.add(message.getValue()));
            simple.getAdESValidationWarnings(id).forEach(message -> messages.add("warning: " + message.getValue()));
            simple.getQualificationErrors(id).forEach(message -> messages.add(message.getValue()));
            Date since = simple.getEvidenceRecordPOE(id);
            System.out.println(String.join("\t", record, "dss", String.valueOf(simple.getIndication(id)),
                String.valueOf(simple.getSubIndication(id)), moment(since), messages.toString()));
        }
    }

    private static void contained(String record, List<File> files) throws Exception {
        int found = 0;
        byte[] encoded = Files.readAllBytes(Path.of(record));
        ERSEvidenceRecord evidence = new ERSEvidenceRecord(encoded, new JcaDigestCalculatorProviderBuilder().build());
        for (File file : files) {
            ERSData data = new ERSByteData(Files.readAllBytes(file.toPath()));
            found += evidence.isContaining(data, new Date(4102444800000L)) ? 1 : 0;
        }
        System.out.println(String.join("\t", record, "bouncycastle", String.valueOf(found)));
    }

    private static String moment(Date date) {
        SimpleDateFormat form = new SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss'Z'");
        form.setTimeZone(java.util.TimeZone.getTimeZone("UTC"));
        return date == null ? "" : form.format(date);
    }
}
