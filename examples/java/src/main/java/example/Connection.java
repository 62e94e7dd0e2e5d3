package example;

import code_analysis.driver.v1.DriverServiceGrpc;
import code_analysis.driver.v1.DriverServiceGrpc.DriverServiceBlockingStub;
import io.grpc.CallCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.netty.shaded.io.grpc.netty.GrpcSslContexts;
import io.grpc.netty.shaded.io.grpc.netty.NettyChannelBuilder;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollDomainSocketChannel;
import io.grpc.netty.shaded.io.netty.channel.epoll.EpollEventLoopGroup;
import io.grpc.netty.shaded.io.netty.channel.unix.DomainSocketAddress;
import java.io.File;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLException;

/** A connection to the driver that the environment names. */
final class Connection implements AutoCloseable {
  private final ManagedChannel channel;
  private final EpollEventLoopGroup eventLoops;
  private final DriverServiceBlockingStub driver;

  Connection() throws SSLException {
    Map<String, String> environment = System.getenv();
    String address = environment.getOrDefault("CODE_ANALYSIS_DRIVER_ADDRESS", "unix:data/code_analysis.db.sock");
    String authority = environment.get("CODE_ANALYSIS_DRIVER_TLS_CA");
    String token = environment.get("CODE_ANALYSIS_DRIVER_TOKEN");

    NettyChannelBuilder builder;
    if (address.startsWith("unix:")) {
      // The transport of the JDK knows no unix sockets in gRPC; that of Netty for Linux does.
      eventLoops = new EpollEventLoopGroup(1);
      String path = address.substring("unix:".length());
      builder =
          NettyChannelBuilder.forAddress(new DomainSocketAddress(path))
              .eventLoopGroup(eventLoops)
              .channelType(EpollDomainSocketChannel.class)
              .overrideAuthority("localhost");
    } else {
      eventLoops = null;
      builder = NettyChannelBuilder.forTarget(address);
    }
    if (authority == null) {
      builder.usePlaintext();
    } else {
      builder.sslContext(GrpcSslContexts.forClient().trustManager(new File(authority)).build());
    }
    // How large an answer may be is the driver's to say.
    channel = builder.maxInboundMessageSize(Integer.MAX_VALUE).build();
    DriverServiceBlockingStub stub = DriverServiceGrpc.newBlockingStub(channel);
    driver = token == null ? stub : stub.withCallCredentials(new BearerToken(token));
  }

  DriverServiceBlockingStub driver() {
    return driver;
  }

  @Override
  public void close() throws InterruptedException {
    channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    if (eventLoops != null) {
      eventLoops.shutdownGracefully(0, 5, TimeUnit.SECONDS);
    }
  }

  /** Sends the token with every call. */
  private static final class BearerToken extends CallCredentials {
    private static final Metadata.Key<String> AUTHORIZATION =
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

    private final Metadata headers = new Metadata();

    BearerToken(String token) {
      headers.put(AUTHORIZATION, "Bearer " + token);
    }

    @Override
    public void applyRequestMetadata(RequestInfo request, Executor executor, MetadataApplier applier) {
      applier.apply(headers);
    }
  }
}
