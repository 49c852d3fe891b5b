import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.type.TypeFactory;
import com.fasterxml.jackson.module.jakarta.xmlbind.JakartaXmlBindAnnotationIntrospector;
import eu.europa.esig.dss.detailedreport.DetailedReportFacade;
import eu.europa.esig.dss.detailedreport.jaxb.XmlDetailedReport;
import eu.europa.esig.dss.diagnostic.DiagnosticDataFacade;
import eu.europa.esig.dss.diagnostic.jaxb.XmlDiagnosticData;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.simplereport.SimpleReportFacade;
import eu.europa.esig.dss.simplereport.jaxb.XmlSimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import eu.europa.esig.validationreport.ValidationReportFacade;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The forms of DSS's own reports. `write ROOT.cer FILE FOLDER`: its reports on FILE, as JSON and XML.
 * `read FILE…`: reads reports (simple.json, detailed.xml, etsi.xml and so on, by their names' ends)
 * into DSS's own classes: JSON with no unknown member, XML against the schema. One line a file: name,
 * "read" or why not.
 */
public final class ReportForms {
    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("write")) {
            write(arguments[1], arguments[2], Path.of(arguments[3]));
            return;
        }
        for (int i = 1; i < arguments.length; i++) {
            String outcome = "read";
            try {
                read(Path.of(arguments[i]));
            } catch (Exception refusal) {
                Throwable cause = refusal;
                while (cause.getCause() != null) {
                    cause = cause.getCause();
                }
                outcome = cause.toString().replaceAll("\\s+", " ");
            }
            System.out.println(arguments[i] + "\t" + outcome);
        }
    }

    private static ObjectMapper mapper() {
        return new ObjectMapper()
            .setAnnotationIntrospector(new JakartaXmlBindAnnotationIntrospector(TypeFactory.defaultInstance()))
            .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
            .disable(SerializationFeature.WRITE_DATES_AS_TIMESTAMPS)
            .enable(SerializationFeature.INDENT_OUTPUT);
    }

    private static void write(String root, String file, Path folder) throws Exception {
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        trusted.addCertificate(DSSUtils.loadCertificate(new File(root)));
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        verifier.setAIASource(null);
        verifier.setOcspSource(null);
        verifier.setCrlSource(null);
        SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(file));
        validator.setCertificateVerifier(verifier);
        Reports reports = validator.validateDocument();
        ObjectMapper mapper = mapper();
        mapper.writeValue(folder.resolve("simple.json").toFile(), reports.getSimpleReportJaxb());
        mapper.writeValue(folder.resolve("detailed.json").toFile(), reports.getDetailedReportJaxb());
        mapper.writeValue(folder.resolve("diagnostic.json").toFile(), reports.getDiagnosticDataJaxb());
        Files.writeString(folder.resolve("simple.xml"), reports.getXmlSimpleReport());
        Files.writeString(folder.resolve("detailed.xml"), reports.getXmlDetailedReport());
        Files.writeString(folder.resolve("diagnostic.xml"), reports.getXmlDiagnosticData());
        Files.writeString(folder.resolve("etsi.xml"), reports.getXmlValidationReport());
    }

    private static void read(Path file) throws Exception {
        String name = file.getFileName().toString();
        if (name.endsWith("simple.json")) {
            mapper().readValue(file.toFile(), XmlSimpleReport.class);
        } else if (name.endsWith("detailed.json")) {
            mapper().readValue(file.toFile(), XmlDetailedReport.class);
        } else if (name.endsWith("diagnostic.json")) {
            mapper().readValue(file.toFile(), XmlDiagnosticData.class);
        } else if (name.endsWith("simple.xml")) {
            SimpleReportFacade.newFacade().unmarshall(file.toFile());
        } else if (name.endsWith("detailed.xml")) {
            DetailedReportFacade.newFacade().unmarshall(file.toFile());
        } else if (name.endsWith("diagnostic.xml")) {
            DiagnosticDataFacade.newFacade().unmarshall(file.toFile());
        } else if (name.endsWith("etsi.xml")) {
            ValidationReportFacade.newFacade().unmarshall(file.toFile());
        } else {
            throw new IllegalArgumentException("a report of no known form");
        }
    }
}
