# The table: which Debian packages make up each package of the set, for Debian 12 ("bookworm") and 13 ("trixie").
#
# A list of layers: a package may link to anything in the layers before its own. That stands for a table of
# dependencies: the builder keeps only the references that a file needs, and fails when a library is nowhere.
# The first Debian package of an entry gives the version.
release:
let
  on = bookworm: trixie:
    { "12" = bookworm; "13" = trixie; }.${release} or (throw "hostpkgs knows Debian 12 and 13, not ${release}; give an own `pkgs`");
in
[
  {
    glibc = "libc6 libgcc-s1 libcrypt1"; # libgcc_s: glibc opens it by name when a thread is cancelled
  }
  {
    acl = "libacl1";
    attr = "libattr1";
    bzip2 = "libbz2-1.0";
    db = on "libdb5.3" "libdb5.3t64";
    expat = "libexpat1";
    gdbm = on "libgdbm6 libgdbm-compat4" "libgdbm6t64 libgdbm-compat4t64";
    gmp = "libgmp10";
    libcap = "libcap2";
    libffi = "libffi8";
    libuuid = "libuuid1";
    lz4 = "liblz4-1" + on "" " libxxhash0";
    ncurses = "libtinfo6 libncursesw6";
    pcre2 = "libpcre2-8-0";
    sqlite = "libsqlite3-0";
    stdcxx = "libstdc++6 libatomic1";
    xz = "liblzma5";
    zlib = "zlib1g";
  }
  {
    bash = "bash";
    libselinux = "libselinux1";
    readline = on "libreadline8" "libreadline8t64";
    zstd = "zstd libzstd1";
  }
  {
    openssl = on "libssl3" "libssl3t64";
  }
  {
    krb5 = "libkrb5-3 libgssapi-krb5-2 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1";
    libsystemd = "libsystemd0" + on " libgcrypt20 libgpg-error0" "";
  }
  {
    coreutils = "coreutils";
    diffutils = "diffutils";
    findutils = "findutils";
    gawk = "mawk";
    getopt = "util-linux"; # of which only this program, for fakeroot's script
    gnugrep = "grep";
    gnused = "sed";
    gnutar = "tar";
    gzip = "gzip";
    hello = "hello";
    nginx = "nginx nginx-common";
    perl = "perl-base perl" + on " perl-modules-5.36 libperl5.36" " perl-modules-5.40 libperl5.40";
    python3 = let v = on "3.11" "3.13"; in "python${v}-minimal libpython${v}-minimal libpython${v}-stdlib python${v}";
    redis = "redis-server redis-tools libjemalloc2 liblzf1";
  }
  {
    busybox = "busybox-static";
    cacert = "ca-certificates";
    fakeroot = "fakeroot libfakeroot";
    # with the libraries that nothing else here uses
    nix =
      "nix-bin libbrotli1 libbsd0 libgc1 libidn2-0 libmd0 libnghttp2-14 libp11-kit0 librtmp1 libsasl2-2 libseccomp2 libsodium23 libtasn1-6 libxml2 "
      + on
        "libarchive13 libboost-context1.74.0 libcpuid16 libcurl3-gnutls libgnutls30 libhogweed6 libicu72 libldap-2.5-0 libnettle8 libpsl5 libssh2-1 libunistring2"
        ("libarchive13t64 libboost-context1.83.0 libcpuid17 libcurl3t64-gnutls libgit2-1.9 libgnutls30t64 libhogweed6t64 libhttp-parser2.9 libldap2 liblowdown2"
          + " libmbedcrypto16 libmbedtls21 libmbedx509-7 libnettle8t64 libnghttp3-9 libngtcp2-16 libngtcp2-crypto-gnutls8 libpsl5t64 libssh2-1t64 libunistring5");
    shadow = "passwd libaudit1 libcap-ng0 libpam0g libsemanage2 libsepol2" + on "" " libbsd0 libmd0";
    tzdata = "tzdata";
  }
]
