import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.timedependent.TimeDependentValues;
import eu.europa.esig.dss.model.tsl.ParsingInfoRecord;
import eu.europa.esig.dss.model.tsl.TLInfo;
import eu.europa.esig.dss.model.tsl.TrustService;
import eu.europa.esig.dss.model.tsl.TrustServiceProvider;
import eu.europa.esig.dss.model.tsl.TrustServiceStatusAndInformationExtensions;
import eu.europa.esig.dss.model.tsl.ValidationInfoRecord;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.tsl.TrustedListsCertificateSource;
import eu.europa.esig.dss.spi.x509.CommonCertificateSource;
import eu.europa.esig.dss.tsl.job.TLValidationJob;
import eu.europa.esig.dss.tsl.source.TLSource;
import java.io.File;
import java.util.ArrayList;
import java.util.List;

/**
 * ListJudge SIGNER.cer LIST.xml…: DSS's own job reads trusted lists (TS 119 612), believing only the
 * signer. One line a list, fields separated by tabs: "list", file, indication, sub-indication, version,
 * sequence number, territory, what its schema says against it; one line for each status of a service:
 * "service", file, type, name, status, start (milliseconds), its certificates by digest.
 */
public final class ListJudge {
    public static void main(String[] arguments) throws Exception {
        CommonCertificateSource signers = new CommonCertificateSource();
        signers.addCertificate(DSSUtils.loadCertificate(new File(arguments[0])));
        List<TLSource> sources = new ArrayList<>();
        for (int i = 1; i < arguments.length; i++) {
            TLSource source = new TLSource();
            source.setUrl(arguments[i]);
            source.setCertificateSource(signers);
            sources.add(source);
        }
        TLValidationJob job = new TLValidationJob();
        job.setTrustedListSources(sources.toArray(new TLSource[0]));
        job.setOfflineDataLoader(FileDocument::new);
        job.setTrustedListCertificateSource(new TrustedListsCertificateSource());
        job.offlineRefresh();
        for (TLInfo one : job.getSummary().getOtherTLInfos()) {
            print(one);
        }
        System.exit(0);  // the job's threads would wait for more
    }

    private static void print(TLInfo one) {
        ValidationInfoRecord verdict = one.getValidationCacheInfo();
        ParsingInfoRecord read = one.getParsingCacheInfo();
        if (!read.isResultExist()) {
            System.out.println(String.join("\t", "list", one.getUrl(), "UNREADABLE", "", "", "", "",
                String.valueOf(read.getExceptionMessage())));
            return;
        }
        System.out.println(String.join("\t", "list", one.getUrl(), String.valueOf(verdict.getIndication()),
            String.valueOf(verdict.getSubIndication()), String.valueOf(read.getVersion()),
            String.valueOf(read.getSequenceNumber()), read.getTerritory(),
            String.valueOf(read.getStructureValidationMessages())));
        for (TrustServiceProvider provider : read.getTrustServiceProviders()) {
            for (TrustService service : provider.getServices()) {
                List<String> digests = new ArrayList<>();
                service.getCertificates().forEach(each -> digests.add(each.getDSSIdAsString()));
                TimeDependentValues<TrustServiceStatusAndInformationExtensions> states =
                    service.getStatusAndInformationExtensions();
                states.forEach(state -> System.out.println(String.join("\t", "service", one.getUrl(),
                    state.getType(), String.valueOf(state.getNames().get("en")), state.getStatus(),
                    String.valueOf(state.getStartDate().getTime()), String.join(",", digests))));
            }
        }
    }
}
