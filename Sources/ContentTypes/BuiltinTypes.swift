// The media types of common names, for machines without /etc/mime.types. One type a line, its
// extensions after it, in that file's own form, so that both go through one parser.

extension ContentTypes {
    /// What is known without any file.
    static let builtin = """
        text/html html htm
        text/css css
        text/javascript js mjs
        text/plain txt log
        text/csv csv
        text/markdown md markdown
        text/calendar ics
        text/xml xml
        text/vtt vtt
        application/json json map
        application/ld+json jsonld
        application/manifest+json webmanifest
        application/xhtml+xml xhtml
        application/atom+xml atom
        application/rss+xml rss
        application/wasm wasm
        application/pdf pdf
        application/zip zip
        application/gzip gz tgz tar.gz
        application/x-bzip2 bz2 tar.bz2
        application/x-xz xz tar.xz
        application/zstd zst tar.zst
        application/x-tar tar
        application/x-7z-compressed 7z
        image/svg+xml svg
        image/png png
        image/apng apng
        image/jpeg jpg jpeg
        image/gif gif
        image/webp webp
        image/avif avif
        image/heic heic
        image/heif heif
        image/jxl jxl
        image/bmp bmp
        image/tiff tif tiff
        image/vnd.microsoft.icon ico
        font/woff woff
        font/woff2 woff2
        font/ttf ttf
        font/otf otf
        audio/mpeg mp3
        audio/mp4 m4a
        audio/aac aac
        audio/flac flac
        audio/ogg ogg oga opus
        audio/x-wav wav
        video/mp4 mp4 m4v
        video/webm webm
        video/ogg ogv
        video/quicktime mov
        video/x-matroska mkv
        video/mp2t ts
        application/vnd.apple.mpegurl m3u8
        application/dash+xml mpd
        """
}
